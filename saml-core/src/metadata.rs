use crate::ids::{EntityId, SsoUrl};
use crate::time::Timestamp;
use crate::trust::{Certificate, ServiceProvider};
#[derive(Debug, thiserror::Error)]
#[error("metadata: not read yet")]
pub struct MetadataError;
#[derive(Debug, Clone)]
pub struct IdpMetadata {
    pub certificates: Vec<Certificate>,
    pub redirect: Option<SsoUrl>,
    pub post: Option<SsoUrl>,
    pub valid_until: Option<Timestamp>,
}
impl IdpMetadata {
    pub fn parse(_xml: &[u8], _entity_id: &EntityId) -> Result<Self, MetadataError> {
        Err(MetadataError)
    }
}
pub fn sp_metadata(_sp: &ServiceProvider) -> String {
    String::new()
}
