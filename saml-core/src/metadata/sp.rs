//! Our own metadata.

use super::{POST, PROTOCOL};
use crate::trust::ServiceProvider;
use crate::xml::escape::push_attribute_value;

/// Our own metadata: what an IdP needs to know of us. No NameIDFormat is asked for (SDP-SP13).
pub fn sp_metadata(sp: &ServiceProvider) -> String {
    let mut xml = String::with_capacity(640);
    xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str("<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"");
    push_attribute_value(&mut xml, sp.entity_id.as_str());
    xml.push_str("\">\n  <md:SPSSODescriptor AuthnRequestsSigned=\"false\" WantAssertionsSigned=\"true\" protocolSupportEnumeration=\"");
    xml.push_str(PROTOCOL);
    xml.push_str("\">\n    <md:AssertionConsumerService Binding=\"");
    xml.push_str(POST);
    xml.push_str("\" Location=\"");
    push_attribute_value(&mut xml, sp.acs_url.as_str());
    xml.push_str("\" index=\"0\" isDefault=\"true\"/>\n  </md:SPSSODescriptor>\n</md:EntityDescriptor>\n");
    xml
}
