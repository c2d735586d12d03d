// The server's status. Requested at the start and whenever a page that shows it opens.
import { fetchHealth } from '../api/endpoints.ts';
import type { Health } from '../api/types.ts';

class HealthReport {
  report = $state.raw<Health | null>(null);
  silent = $state(false);

  async refresh(): Promise<void> {
    try {
      this.report = await fetchHealth();
      this.silent = false;
    } catch {
      this.silent = true;
    }
  }
}

export const health = new HealthReport();
