/** The same pieces, until `signal` ends it with its reason. */
export async function* interruptible<T>(
  pieces: AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, void> {
  for await (const piece of pieces) {
    yield piece;
    signal?.throwIfAborted();
  }
}
