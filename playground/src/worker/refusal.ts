/** What the page itself cannot do, and what to do about it. */
export const refusal = (message: string, hint: string): Error => Object.assign(new Error(message), { hint });
