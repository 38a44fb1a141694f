import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The clock of a place, with its changes to and from daylight saving time. */
export class TimeZone {
  /** As in `Europe/Berlin`. */
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;
  /** Clocks change at full quarters of an hour. */
  readonly #offsets = new Map<number, number>();

  /** Throws a usage error for a zone that the host does not know. */
  constructor(name: string) {
    this.name = name;
    try {
      this.#format = new Intl.DateTimeFormat('en-US', {
        timeZone: name,
        hourCycle: 'h23',
        ...{ year: 'numeric', month: 'numeric', day: 'numeric', era: 'short' },
        ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
      });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new XlstmError(
        'usage',
        `time zone: expected a name such as Europe/Berlin, found ${quote(name)}`,
        'Names are those of the IANA time zone database.',
      );
    }
  }

  /** Milliseconds by which its clock is ahead of UTC at an instant. */
  offsetAt(instant: number): number {
    const quarter = Math.floor(instant / (HOUR / 4));
    let offset = this.#offsets.get(quarter);
    if (offset === undefined) {
      const at = quarter * (HOUR / 4);
      const parts = new Map(this.#format.formatToParts(at).map(({ type, value }) => [type, value]));
      const part = (name: Intl.DateTimeFormatPartTypes): number => Number(parts.get(name));
      const wall = new Date(0);
      wall.setUTCFullYear(
        parts.get('era') === 'BC' ? 1 - part('year') : part('year'),
        part('month') - 1,
        part('day'),
      );
      wall.setUTCHours(part('hour'), part('minute'), part('second'));
      offset = wall.getTime() - at;
      this.#offsets.set(quarter, offset);
    }
    return offset;
  }

  /** The offsets under which its clock shows this: none in the hour that is left out, two in the hour that comes twice. */
  offsetsFor(wall: number): number[] {
    const around = [this.offsetAt(wall - DAY), this.offsetAt(wall + DAY)];
    return around.filter(
      (offset, i) => around.indexOf(offset) === i && this.offsetAt(wall - offset) === offset,
    );
  }
}
