/**
 * Lets everybody who asks about the same thing while a question is on its way have the same answer: of a hundred hosts that are looked at
 * at once, each would ask the same. Nothing is kept once it is answered.
 */
export function inFlight<K extends object, A extends readonly unknown[], T>(
  ask: (about: K, ...more: A) => Promise<T>,
): (about: K, ...more: A) => Promise<T> {
  const asking = new WeakMap<K, Promise<T>>();
  return (about, ...more) => {
    const asked = asking.get(about);
    if (asked !== undefined) return asked;
    const answer = ask(about, ...more).finally(() => asking.delete(about));
    asking.set(about, answer);
    return answer;
  };
}
