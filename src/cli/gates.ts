import { writeFileAtomic } from '../checkpoints/files.ts';
import { startToken } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { CellTrace, type TraceStep } from '../generation/cell_trace.ts';
import { gatesPage } from '../lab/gates_page.ts';
import { loadModel } from '../saved/model_folders.ts';
import { withEngine } from './engine_options.ts';
import { requirePlotFolder } from './plots.ts';

/** Tokens whose gates a page shows: of more it would be too large to open. */
const MOST_TOKENS = 400;

/** Writes a page with what the cells of a model do with a text, and tells how much of it. Throws where there is nothing to show. */
export async function writeGates(model: string, text: string, out: string): Promise<string> {
  await requirePlotFolder(out, '--out');
  return withEngine({ engine: 'auto' }, async (engine) => {
    const loaded = await loadModel(model, { engine, kind: 'text' });
    const { tokenizer } = loaded;
    if (!tokenizer)
      throw new XlstmError(
        'checkpoint',
        `${model}: expected tokenizer.json with the model, found none: there is no text for its tokens`,
      );
    using trace = new CellTrace(loaded.model);
    if (trace.cells.length === 0) {
      throw new XlstmError(
        'checkpoint',
        `${model}: expected a model with mLSTM or sLSTM cells, found ${loaded.model.design?.describe().summary}`,
      );
    }
    const document = startToken(tokenizer);
    const all = [...(document === undefined ? [] : [document]), ...tokenizer.encode(text)];
    if (all.length === 0) throw new XlstmError('usage', '--gates: expected a text, found none');
    const ids = all.slice(0, MOST_TOKENS);
    const steps: TraceStep[] = [];
    for (const id of ids) steps.push(await trace.read(id));
    const tokens = ids.map((id) => tokenizer.decode([id]));
    await writeFileAtomic(out, gatesPage({ model, cells: trace.cells, tokens, steps }));
    const of = ids.length < all.length ? ` of ${all.length}` : '';
    return `gates of ${trace.cells.length} cells over ${ids.length}${of} tokens: ${out}`;
  });
}
