import type { StudyCell } from '../cell.ts';
import type { CorpusFacts } from '../corpus.ts';
import type { KeptSettings } from '../options.ts';
import type { StudyRecord } from '../records.ts';

/** What a report is made of. */
export interface StudyFindings {
  readonly records: readonly StudyRecord[];
  /** Cells that did not fit into the time, and what they were estimated to take. */
  readonly notRun: readonly { readonly cell: StudyCell; readonly seconds: number | undefined }[];
  readonly facts: CorpusFacts;
  readonly settings: KeptSettings;
}
