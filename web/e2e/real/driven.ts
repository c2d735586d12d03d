// A browser that Playwright does not drive, and one page of it.

export interface Driven {
  /** Errors and warnings of the page, where the browser tells them. */
  readonly complaints: string[];
  open(address: string): Promise<void>;
  /** The value of an expression in the page; promises are waited for. */
  ask<T>(expression: string): Promise<T>;
  click(x: number, y: number): Promise<void>;
  press(key: string): Promise<void>;
  close(): Promise<void>;
}

/** As WebDriver writes the key. */
export const HOME = '\uE011';
