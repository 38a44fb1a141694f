import { serveJobs } from '../cells/job.ts';
import { runSearchCell } from './run_cell.ts';

serveJobs(runSearchCell);
