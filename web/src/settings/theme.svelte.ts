// Light or dark: the system's setting unless the user chose one. The colours are `light-dark()` pairs in app.css.
import { keep, kept } from './kept.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type ThemeName = (typeof THEMES)[number];

class Theme {
  name = $state<ThemeName>(THEMES.find((name) => name === kept('theme')) ?? 'system');

  choose(name: ThemeName): void {
    this.name = name;
    keep('theme', name);
    this.apply();
  }

  apply(): void {
    document.documentElement.dataset.theme = this.name;
  }
}

export const theme = new Theme();
