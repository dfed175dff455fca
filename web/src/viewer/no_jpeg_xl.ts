/** Stands in for the JPEG XL codec, which is left out of the bundle. */
export default function noJpegXl(): Promise<never> {
  return Promise.reject(new Error("this page has no decoder for JPEG XL"));
}
