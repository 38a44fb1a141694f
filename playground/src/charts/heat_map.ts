import { h, on } from '../dom.ts';

export interface HeatContent {
  readonly rows: number;
  readonly columns: number;
  /** Row by row. */
  readonly values: ArrayLike<number>;
  /** What the strongest colour stands for. */
  readonly most: number;
  /** A row and a column that are marked: -1 for none. */
  readonly column?: number;
}

type Colour = readonly [number, number, number];

const redraws = new Set<WeakRef<HeatMap>>();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const each of redraws) {
    const map = each.deref();
    if (map) map.draw();
    else redraws.delete(each);
  }
});

/** Numbers as colours: blue above 0, red below, that of the paper for 0. Pointer and arrow keys tell each number. */
export class HeatMap {
  readonly element: HTMLElement;
  readonly #canvas: HTMLCanvasElement;
  readonly #told: (row: number, column: number) => void;
  readonly #chosen: ((row: number, column: number) => void) | undefined;
  #content: HeatContent | undefined;
  #at = { row: 0, column: 0 };

  /** `told` hears of the place that is pointed at, `chosen` of one that is clicked. */
  constructor(
    label: string,
    told: (row: number, column: number) => void,
    chosen?: (row: number, column: number) => void,
  ) {
    this.#told = told;
    this.#chosen = chosen;
    this.#canvas = h('canvas', {
      role: 'img',
      'aria-label': `${label}. Arrow keys tell the numbers.`,
      tabindex: 0,
    });
    this.element = h('div', { class: 'heat' }, this.#canvas);
    on(this.#canvas, {
      pointermove: (event) => this.#point(event),
      click: (event) => {
        this.#point(event);
        this.#chosen?.(this.#at.row, this.#at.column);
      },
      keydown: (event) => this.#key(event),
    });
    redraws.add(new WeakRef(this));
  }

  show(content: HeatContent): void {
    this.#content = content;
    this.draw();
  }

  draw(): void {
    if (!this.#content) return;
    const { rows, columns, values, most } = this.#content;
    this.#canvas.width = columns;
    this.#canvas.height = rows;
    const context = this.#canvas.getContext('2d');
    if (!context) return;
    const [zero, above, below] = ['--raised', '--blue', '--red'].map((name) => colourOf(name));
    const image = context.createImageData(columns, rows);
    for (let i = 0; i < rows * columns; i++) {
      const part = Math.max(-1, Math.min(1, values[i] / (most || 1)));
      const towards = part < 0 ? below : above;
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = zero[c] + (towards[c] - zero[c]) * Math.abs(part);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  #point(event: MouseEvent): void {
    if (!this.#content) return;
    const box = this.#canvas.getBoundingClientRect();
    const { rows, columns } = this.#content;
    const within = (part: number, count: number): number =>
      Math.max(0, Math.min(count - 1, Math.floor(part * count)));
    this.#tell(
      within((event.clientY - box.top) / box.height, rows),
      within((event.clientX - box.left) / box.width, columns),
    );
  }

  #key(event: KeyboardEvent): void {
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    const move = moves[event.key];
    if (!this.#content) return;
    if (event.key === 'Enter') this.#chosen?.(this.#at.row, this.#at.column);
    if (!move) return;
    event.preventDefault();
    const { rows, columns } = this.#content;
    const clamp = (value: number, count: number): number => Math.max(0, Math.min(count - 1, value));
    this.#tell(clamp(this.#at.row + move[0], rows), clamp(this.#at.column + move[1], columns));
  }

  #tell(row: number, column: number): void {
    this.#at = { row, column };
    this.#told(row, column);
  }
}

/** A colour of the style sheet, in the theme that is on. */
function colourOf(name: string): Colour {
  const probe = h('span', { style: `color: var(${name})` });
  document.body.append(probe);
  const numbers =
    getComputedStyle(probe)
      .color.match(/[\d.]+/g)
      ?.map(Number) ?? [];
  probe.remove();
  return [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 0];
}
