<?php

$issuer = json_decode(file_get_contents(getenv('ISSUER_FILE')), true);

$metadata[$issuer['entity_id']] = [
    'host' => '__DEFAULT__',
    'privatekey' => $issuer['key_file'],
    'certificate' => $issuer['certificate_file'],
    'auth' => 'people',
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    'NameIDFormat' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    'simplesaml.nameidattribute' => 'sub',
    'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic',
    'sign.logout' => true,
    'validate.logout' => true,
    'SingleLogoutServiceBinding' => [
        'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect',
        'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST',
    ],
];
