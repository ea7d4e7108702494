<?php

$issuer = json_decode(file_get_contents(getenv('ISSUER_FILE')), true);

foreach ($issuer['service_providers'] as $sp) {
    $remote = [
        'AssertionConsumerService' => $sp['acs_url'],
        'saml20.sign.response' => $sp['signs'] !== 'assertion',
        'saml20.sign.assertion' => $sp['signs'] !== 'response',
        'assertion.encryption' => $sp['encryption'] !== null,
        'validate.authnrequest' => $sp['signed_requests'],
        'keys' => [],
    ];
    foreach (['signing', 'encryption'] as $use) {
        if ($sp[$use . '_certificate']) {
            $remote['keys'][] = [
                'type' => 'X509Certificate',
                'signing' => $use === 'signing',
                'encryption' => $use === 'encryption',
                'X509Certificate' => preg_replace('/-----[A-Z ]+-----|\s/', '', $sp[$use . '_certificate']),
            ];
        }
    }
    if ($sp['slo_url']) {
        $remote['SingleLogoutService'] = [[
            'Binding' => 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-' . ($sp['slo_binding'] === 'post' ? 'POST' : 'Redirect'),
            'Location' => $sp['slo_url'],
        ]];
    }
    $metadata[$sp['entity_id']] = $remote;
}
