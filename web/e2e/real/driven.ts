// A browser that Playwright does not drive, with one page.

export interface Driven {
  /** Errors and warnings of the page, if the browser reports them. */
  readonly complaints: string[];
  open(address: string): Promise<void>;
  /** The value of an expression in the page; promises are awaited. */
  ask<T>(expression: string): Promise<T>;
  click(x: number, y: number): Promise<void>;
  press(key: string): Promise<void>;
  close(): Promise<void>;
}

/** The key in WebDriver's notation. */
export const HOME = '\uE011';
