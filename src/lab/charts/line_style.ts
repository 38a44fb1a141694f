/** Hues that stay apart for eyes without red or green cones; each has a light and a dark form in `palette`. */
export type Hue = 'blue' | 'vermilion' | 'purple' | 'ink' | 'green' | 'gold' | 'sky' | 'brown' | 'grey';

export type Marker = 'circle' | 'square' | 'triangle' | 'diamond';

/** How a line is drawn. */
export interface LineStyle {
  readonly hue: Hue;
  readonly dash: 'solid' | 'dashed' | 'dotted' | 'dashdot';
  readonly marker: Marker;
}
