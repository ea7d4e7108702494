# LemonLDAP::NG's portal, as ISSUER_FILE says: writes its settings, puts our people where its demonstration users are.

use strict;
use warnings;
use JSON;

# Values stay UTF-8 octets, as a directory would give them.
my $issuer = from_json( slurp( $ENV{ISSUER_FILE} ) );
my $folder = $issuer->{folder};
mkdir "$folder/$_" for qw(conf cache sessions sessions/lock psessions psessions/lock saml saml/lock);
write_file( "$folder/conf/lmConf-1.json", to_json( settings() ) );
write_file( "$folder/lemonldap-ng.ini", <<"INI" );
[all]
logLevel = @{[ $ENV{ISSUER_LOG_LEVEL} // 'warn' ]}
userLogLevel = warn
[configuration]
type = File
dirName = $folder/conf
localStorage = Cache::FileCache
localStorageOptions = { 'namespace' => 'conf', 'cache_root' => '$folder/cache', 'default_expires_in' => 600 }
[portal]
staticPrefix = /static
templateDir = $ENV{ISSUER_PACKAGE}/usr/share/lemonldap-ng/portal/templates
languages = en
INI
$ENV{LLNG_DEFAULTCONFFILE} = "$folder/lemonldap-ng.ini";

# The portal always loads a captcha, and the usual one draws pictures.
{
    package Lemonldap::NG::Portal::Captcha::None;
    $INC{'Lemonldap/NG/Portal/Captcha/None.pm'} = __FILE__;
    use Mouse;
    extends 'Lemonldap::NG::Common::Module';
    sub init { return 1 }
}

# Not before: they read the file that is named in the environment as they are loaded.
require Lemonldap::NG::Portal::Main;
require Lemonldap::NG::Portal::UserDB::Demo;

%Lemonldap::NG::Portal::UserDB::Demo::demoGroups   = ();
%Lemonldap::NG::Portal::UserDB::Demo::demoAccounts = map {
    my $person = $_;
    $person->{username} => {
        uid       => $person->{username},
        cn        => $person->{username},
        mail      => $person->{email},
        sub       => $person->{id},
        firstname => $person->{first_name},
        lastname  => $person->{last_name},
        memberOf  => @{ $person->{groups} } ? join( '; ', @{ $person->{groups} } ) : undef,
    }
} @{ $issuer->{people} };

my $portal = Lemonldap::NG::Portal::Main->run( {} );

sub settings {
    my $storage = sub {
        return {
            Directory      => "$folder/$_[0]",
            LockDirectory  => "$folder/$_[0]/lock",
            generateModule => 'Lemonldap::NG::Common::Apache::Session::Generate::SHA256',
        };
    };
    my ($host) = $issuer->{origin} =~ m{^http://([^:]+)};
    my %settings = (
        cfgNum                     => 1,
        cfgDate                    => time,
        portal                     => "$issuer->{origin}/",
        domain                     => $host,
        locationRules              => { $host => { default => 'accept' } },
        cookieName                 => 'lemonldap',
        securedCookie              => 0,
        sameSite                   => 'Lax',
        portalDisplayResetPassword => 0,
        portalDisplayRegister      => 0,
        captcha                    => '::Captcha::None',
        authentication             => 'Demo',
        userDB                     => 'Same',
        requireToken               => 0,
        portalCheckLogins          => 0,
        whatToTrace                => 'uid',
        demoExportedVars           => { map { $_ => $_ } qw(uid cn mail sub firstname lastname memberOf) },
        globalStorage              => 'Apache::Session::File',
        globalStorageOptions       => $storage->('sessions'),
        persistentStorage          => 'Apache::Session::File',
        persistentStorageOptions   => $storage->('psessions'),
        localSessionStorage        => 'Cache::FileCache',
        localSessionStorageOptions => { namespace => 'sessions', cache_root => "$folder/cache", default_expires_in => 600 },
        issuerDBSAMLActivation     => 1,
        issuerDBSAMLPath           => '^/saml/',
        samlEntityID               => $issuer->{entity_id},
        samlServicePrivateKeySig   => slurp( $issuer->{key_file} ),
        samlServicePublicKeySig    => slurp( $issuer->{certificate_file} ),
        samlServiceSignatureMethod => 'RSA_SHA256',
        samlSPMetaDataXML          => {},
        samlSPMetaDataOptions      => {},
        samlSPMetaDataExportedAttributes => {},
    );
    for my $sp ( @{ $issuer->{service_providers} } ) {
        my $name = $sp->{name};
        $settings{samlSPMetaDataXML}{$name} = { samlSPMetaDataXML => $sp->{metadata} };
        $settings{samlSPMetaDataOptions}{$name} = {
            samlSPMetaDataOptionsSignatureMethod      => 'RSA_SHA256',
            samlSPMetaDataOptionsSignSSOMessage       => $sp->{signs} eq 'assertion' ? 0 : 1,
            samlSPMetaDataOptionsCheckSSOMessageSignature => $sp->{signed_requests} ? 1 : 0,
            samlSPMetaDataOptionsCheckSLOMessageSignature => 1,
            samlSPMetaDataOptionsSignSLOMessage       => 1,
            samlSPMetaDataOptionsEncryptionMode       => $sp->{encryption} ? 'assertion' : 'none',
            samlSPMetaDataOptionsNameIDFormat         => 'persistent',
            samlSPMetaDataOptionsNameIDSessionKey     => 'uid',
            samlSPMetaDataOptionsNotOnOrAfterTimeout  => 300,
            samlSPMetaDataOptionsForceUTF8            => 1,
        };
        $settings{samlSPMetaDataExportedAttributes}{$name} = {
            mail => '1;email', map { $_ => "0;$_" } qw(sub firstname lastname memberOf) };
    }
    return \%settings;
}

sub slurp {
    my ($file) = @_;
    open my $handle, '<', $file or die "$file: $!";
    local $/ = undef;
    return scalar <$handle>;
}

sub write_file {
    my ( $file, $text ) = @_;
    open my $handle, '>', $file or die "$file: $!";
    print {$handle} $text;
    close $handle or die "$file: $!";
}

$portal;
