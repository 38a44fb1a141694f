import { serveJobs } from '../cells/job.ts';
import { runCell } from './run_cell.ts';

serveJobs(runCell);
