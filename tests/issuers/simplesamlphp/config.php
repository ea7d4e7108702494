<?php
// SimpleSAMLphp's configuration, as ISSUER_FILE says.

$issuer = json_decode(file_get_contents(getenv('ISSUER_FILE')), true);

$config = [
    'baseurlpath' => $issuer['origin'] . '/',
    'certdir' => '/',
    'loggingdir' => $issuer['folder'],
    'datadir' => $issuer['folder'],
    'tempdir' => $issuer['folder'] . '/tmp',
    'metadatadir' => __DIR__ . '/metadata',
    'secretsalt' => $issuer['secret'],
    'auth.adminpassword' => $issuer['secret'],
    'admin.checkforupdates' => false,
    'timezone' => 'UTC',
    'errorreporting' => false,
    'logging.level' => SimpleSAML\Logger::NOTICE,
    'logging.handler' => 'errorlog',
    'enable.saml20-idp' => true,
    'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
    'session.cookie.secure' => false,
    'session.cookie.samesite' => null,
    'language.cookie.secure' => false,
    'language.cookie.samesite' => null,
    'language.available' => ['en'],
    'language.default' => 'en',
    'metadata.sources' => [['type' => 'flatfile']],
    'store.type' => 'sql',
    'store.sql.dsn' => 'sqlite:' . $issuer['folder'] . '/sessions.sqlite',
    'store.sql.username' => null,
    'store.sql.password' => null,
    'store.sql.prefix' => 'simplesamlphp',
];
