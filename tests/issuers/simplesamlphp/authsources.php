<?php

$issuer = json_decode(file_get_contents(getenv('ISSUER_FILE')), true);

$config = ['people' => ['exampleauth:UserPass']];
foreach ($issuer['people'] as $person) {
    $config['people'][$person['username'] . ':' . $person['username']] = [
        'email' => [$person['email']],
        'sub' => [$person['id']],
        'firstname' => [$person['first_name']],
        'lastname' => [$person['last_name']],
        'memberOf' => $person['groups'],
    ];
}
