import { serveJobs } from '../cells/job.ts';
import { runStudyCell } from './run_cell.ts';

serveJobs(runStudyCell);
