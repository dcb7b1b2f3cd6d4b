import type { DriverStep } from '../../runtime/driver.js';
import { inputsDigest, type Step, stepId } from '../plan/step.js';
import type { WorkHost } from '../work.js';

/** A step of a runtime driver as a step of a plan. The host or the cluster itself says whether it is done. */
export function driverStep(
  name: string,
  { address }: Pick<WorkHost, 'address'>,
  why: string,
  { title, done, run }: DriverStep,
): Step {
  return {
    id: stepId(name, address),
    host: address,
    title,
    why,
    inputs: inputsDigest(name, address),
    proof: 'check',
    check: async () => ({ holds: await done() }),
    run: async ({ note, signal }) => {
      await run(note, signal);
      return undefined;
    },
  };
}
