/** What the bundler puts in. */
interface ImportMeta {
  readonly env: {
    /** Whether this is the built page. */
    readonly PROD: boolean;
  };
}
