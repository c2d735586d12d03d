// A command that the user gives: busy while it runs, and the problem's words if it fails.

export class Attempt {
  isBusy = $state(false);
  problem = $state<string | null>(null);

  /** Runs the work; `true` if it succeeded. */
  async run(work: () => Promise<unknown>): Promise<boolean> {
    this.isBusy = true;
    this.problem = null;
    try {
      await work();
      return true;
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      return false;
    } finally {
      this.isBusy = false;
    }
  }
}
