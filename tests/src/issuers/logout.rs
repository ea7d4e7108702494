//! Single logout: begun at the gateway, and begun at the issuer. The browser is signed in at two applications.

use super::kind::Kind;
use super::login::{End, arrive, assert_admitted, walk};
use super::modes::Binding;
use super::people::Person;
use super::world::{Protected, World};
use crate::browser::{Browser, Tab};

const PATH: &str = "/reports";

#[derive(Debug, Clone, Copy)]
pub(super) enum Begun {
    Here,
    There,
}

impl Begun {
    pub(super) const BOTH: [Self; 2] = [Self::Here, Self::There];

    pub(super) fn claim(self, kind: Kind, binding: Binding) -> String {
        let title = binding.title();
        match self {
            Self::Here if hears_in_part(kind, binding) => {
                format!(
                    "single logout by {title}, begun here: ends everywhere, and the issuer says in part: cannot be answered in a frame by HTTP-POST"
                )
            }
            Self::Here => {
                format!("single logout by {title}, begun here: ends here, at the other application and at the issuer")
            }
            Self::There => format!("single logout by {title}, begun at the issuer: ends here and at the issuer"),
        }
    }
}

/// The other application is asked and answers by the other binding.
fn hears_in_part(kind: Kind, own: Binding) -> bool {
    kind.signs_out_in_frames() && own == Binding::Redirect
}

pub(super) async fn scenario(world: &World, index: usize, begun: Begun) {
    let own = &world.protected[index];
    let other = world.protected.iter().find(|each| each.mode.logout.is_some() && each.mode.name != own.mode.name);
    // The first two: plain, and one whose NameID and names are hard to carry.
    for person in &world.people[..2] {
        match begun {
            Begun::Here => begun_here(world, own, other.expect("two rows are about logout"), person).await,
            Begun::There => begun_there(world, own, person).await,
        }
    }
}

async fn begun_here(world: &World, own: &Protected, other: &Protected, person: &Person) {
    let mut tab = Browser::new().tab();
    sign_in(world, &mut tab, own, person).await;
    let second = arrive(world, &mut tab, other, person, PATH).await;
    assert!(!second.asked_password, "the issuer knew who it was");
    assert_admitted(world, person, tab.page(), PATH);

    let cookies = tab.browser().jar();
    tab.visit(&own.gateway.url("/saml/logout")).await;
    let form = tab.page().form().press("Sign out everywhere");
    tab.submit(form).await;
    let way = walk(world, &mut tab, None).await;
    let page = tab.page();
    assert!(way.end == End::Gateway && page.status == 200, "{} {}: {}", page.status, page.url, page.visible_text());
    let told = match own.mode.logout.is_some_and(|binding| hears_in_part(world.kind, binding)) {
        true => "could not end the session of every application",
        false => "its own session has ended as well",
    };
    assert!(page.visible_text().contains(told), "{}", page.visible_text());
    for each in [own, other] {
        assert_signed_out(world, &mut tab, each).await;
    }
    // Whoever kept the cookies has no more of them.
    for each in [own, other] {
        tab.browser().change_jar(|jar| *jar = cookies.clone());
        assert_session_ended(world, &mut tab, each).await;
    }
}

async fn begun_there(world: &World, own: &Protected, person: &Person) {
    let mut tab = Browser::new().tab();
    sign_in(world, &mut tab, own, person).await;
    let cookies = tab.browser().jar();
    tab.visit(&world.kind.logout_url(&world.origin)).await;
    let way = walk(world, &mut tab, None).await;
    let page = tab.page();
    assert!(way.end != End::Gateway, "{} {}: {}", page.status, page.url, page.visible_text());
    assert!(page.status < 400, "{} {}: {}", page.status, page.url, page.visible_text());
    assert_signed_out(world, &mut tab, own).await;
    tab.browser().change_jar(|jar| *jar = cookies);
    assert_session_ended(world, &mut tab, own).await;
}

async fn sign_in(world: &World, tab: &mut Tab, protected: &Protected, person: &Person) {
    let way = arrive(world, tab, protected, person, PATH).await;
    assert!(way.asked_password, "a fresh browser is asked for a password");
    assert_admitted(world, person, tab.page(), PATH);
}

/// The application is out of reach, and the issuer asks for a password again.
async fn assert_signed_out(world: &World, tab: &mut Tab, protected: &Protected) {
    tab.visit(&protected.gateway.url(PATH)).await;
    let way = walk(world, tab, None).await;
    let page = tab.page();
    assert!(way.end == End::Password, "{}: no password was asked for: {}", page.url, page.visible_text());
    assert!(world.application.take_requests().is_empty(), "the application was reached");
}

async fn assert_session_ended(world: &World, tab: &mut Tab, protected: &Protected) {
    tab.visit(&protected.gateway.url(PATH)).await;
    assert!(world.application.take_requests().is_empty(), "the application was reached by an old cookie");
}
