// The smaller build, without unused features, has no types of its own.
declare module 'hls.js/light' {
  export { default } from 'hls.js';
}
