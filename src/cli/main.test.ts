import { expect, it } from 'vitest';
import { commands } from './main.ts';

it.each(Object.entries(commands))('%s is loaded by its name', async (name, load) => {
  expect((await load()).name()).toBe(name);
});
