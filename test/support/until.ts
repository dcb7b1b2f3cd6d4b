/**
 * Waits until something holds, for as long as the test may take. What fails (a host that does not answer yet) does not hold yet.
 * @param everyMs how often it is asked
 */
export async function until(what: () => boolean | Promise<boolean>, everyMs = 300): Promise<void> {
  const holds = async (): Promise<boolean> => await what();
  while (!(await holds().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, everyMs));
}
