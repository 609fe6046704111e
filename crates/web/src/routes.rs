//! Routes, each declared with who may use it.
//!
//! There is no way to add a route without saying its [`Access`], and the access itself puts the
//! gate in front of the handler: a page for customers cannot be reached without a session, a form
//! cannot be posted without its token, whatever its handler does. Tests enumerate this list.

use crate::gate;
use crate::once::once;
use crate::openapi::{Described, Operation, Shapes};
use crate::state::AppState;
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use gruve_accounts::Permission;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody, but only from the house's own page: the form's token is checked.
    PublicForm,
    /// Whoever is signed in by cookie; others are led to the sign-in page.
    Customer,
    /// Whoever is signed in by cookie, with the session's form token.
    CustomerForm,
    /// Whoever sends a valid bearer token. Cookies are not looked at.
    Bearer,
    /// Staff whose role has the permission, signed in by cookie.
    Staff(Permission),
    /// The same, with the session's form token.
    StaffForm(Permission),
    /// The same by a bearer token.
    StaffBearer(Permission),
    /// The agent of a site, by its own bearer token.
    Site,
}

/// One route as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// The method.
    pub method: Method,
    /// The path with its names in braces.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
}

/// One route of the API, with what its handler says of it.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    /// What it does, in a line.
    pub(crate) about: &'static str,
    /// What it takes and gives.
    pub(crate) operation: fn(&mut Shapes) -> Operation,
}

impl Told {
    /// Whether it may be sent again under a key.
    pub(crate) fn takes_keys(&self) -> bool {
        takes_keys(&self.method, self.access)
    }

    /// Whether what everybody may read can be missing altogether.
    pub(crate) fn may_be_missing(&self) -> bool {
        self.path == "/api/v1/funds"
    }
}

/// Whatever changes something in somebody's name may be sent again under a key.
fn takes_keys(method: &Method, access: Access) -> bool {
    *method != Method::GET && matches!(access, Access::Bearer | Access::StaffBearer(_))
}

/// Routes being declared.
pub(crate) struct Routes {
    /// Without it the routes are only listed.
    state: Option<AppState>,
    router: Router<AppState>,
    list: Vec<RouteInfo>,
    told: Vec<Told>,
}

impl Routes {
    /// None yet.
    pub(crate) fn new(state: Option<AppState>) -> Self {
        Routes { state, router: Router::new(), list: Vec::new(), told: Vec::new() }
    }

    /// A call of the API that reads, and what it does in a line.
    pub(crate) fn api_get<H, T, A>(
        self,
        path: &'static str,
        access: Access,
        about: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState> + Described<A>,
        T: 'static,
    {
        self.tell::<H, A>(Method::GET, path, access, about).get(path, access, handler)
    }

    /// One that changes something.
    pub(crate) fn api_post<H, T, A>(
        self,
        path: &'static str,
        access: Access,
        about: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState> + Described<A>,
        T: 'static,
    {
        self.tell::<H, A>(Method::POST, path, access, about).post(path, access, handler)
    }

    /// One that takes something away.
    pub(crate) fn api_delete<H, T, A>(
        self,
        path: &'static str,
        access: Access,
        about: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState> + Described<A>,
        T: 'static,
    {
        self.tell::<H, A>(Method::DELETE, path, access, about).delete(path, access, handler)
    }

    fn tell<H: Described<A>, A>(
        mut self,
        method: Method,
        path: &'static str,
        access: Access,
        about: &'static str,
    ) -> Self {
        self.told.push(Told { method, path, access, about, operation: H::operation });
        self
    }

    /// The calls of the API.
    pub(crate) fn told(self) -> Vec<Told> {
        self.told
    }

    /// A route that is read.
    pub(crate) fn get<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.add(&Method::GET, MethodFilter::GET, path, access, handler)
    }

    /// A route that changes something.
    pub(crate) fn post<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.add(&Method::POST, MethodFilter::POST, path, access, handler)
    }

    /// A route that takes something away.
    pub(crate) fn delete<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.add(&Method::DELETE, MethodFilter::DELETE, path, access, handler)
    }

    fn add<H, T>(
        mut self,
        method: &Method,
        filter: MethodFilter,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.list.push(RouteInfo { method: method.clone(), path, access });
        let Some(state) = self.state.clone() else { return self };
        let route = guarded(state, method, access, on(filter, handler));
        self.router = self.router.route(path, route);
        self
    }

    /// The router and the list of what is in it.
    pub(crate) fn finish(self) -> (Router<AppState>, Vec<RouteInfo>) {
        (self.router, self.list)
    }
}

/// A route behind the gates of its access. Not generic, so that it is compiled once and not for each
/// handler.
fn guarded(
    state: AppState,
    method: &Method,
    access: Access,
    route: MethodRouter<AppState>,
) -> MethodRouter<AppState> {
    let route = if takes_keys(method, access) {
        route.route_layer(from_fn_with_state(state.clone(), once))
    } else {
        route
    };
    match access {
        Access::Public => route,
        Access::PublicForm => route.route_layer(from_fn_with_state(state, gate::own_form)),
        Access::Customer => route.route_layer(from_fn_with_state(state, gate::customer)),
        // The last layer stands outermost: first who it is, then whose form it is.
        Access::CustomerForm => route
            .route_layer(from_fn_with_state(state.clone(), gate::own_form))
            .route_layer(from_fn_with_state(state, gate::customer)),
        Access::Bearer => route.route_layer(from_fn_with_state(state, gate::bearer)),
        Access::Staff(needed) => route
            .route_layer(from_fn_with_state((state.clone(), needed), gate::staff))
            .route_layer(from_fn_with_state(state, gate::customer)),
        Access::StaffForm(needed) => route
            .route_layer(from_fn_with_state(state.clone(), gate::own_form))
            .route_layer(from_fn_with_state((state.clone(), needed), gate::staff))
            .route_layer(from_fn_with_state(state, gate::customer)),
        Access::StaffBearer(needed) => route
            .route_layer(from_fn_with_state((state.clone(), needed), gate::staff))
            .route_layer(from_fn_with_state(state, gate::bearer)),
        Access::Site => route.route_layer(from_fn_with_state(state, gate::site)),
    }
}
