//! Base64 as the API server and Go decode it.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};

/// Decodes base64 that the CRD and Go accept: padded, on one line, with any trailing bits.
pub(crate) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    const ENGINE: GeneralPurpose =
        GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    ENGINE.decode(text).ok()
}
