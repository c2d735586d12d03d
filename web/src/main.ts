// The page starts here: theme first, so that nothing flashes in the wrong colours.
import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { route } from './route.svelte.ts';
import { theme } from './settings/theme.svelte.ts';

theme.apply();
route.follow();
mount(App, { target: document.getElementById('app') as HTMLElement });
