// The smaller build, without what we do not use, comes without types of its own.
declare module 'hls.js/light' {
  export { default } from 'hls.js';
}
