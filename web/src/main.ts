// The page's entry point: sets the theme first, so that the wrong colours don't flash.
import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { route } from './route.svelte.ts';
import { theme } from './settings/theme.svelte.ts';

theme.apply();
route.follow();
mount(App, { target: document.getElementById('app') as HTMLElement });
