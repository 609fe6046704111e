//! Routes, each declared with who may use it.
//!
//! There is no way to add a route without saying its [`Access`], and the access itself puts the
//! gate in front of the handler: a page for customers cannot be reached without a session, a form
//! cannot be posted without its token, whatever its handler does. Tests enumerate this list.

use crate::gate;
use crate::state::AppState;
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
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

/// Routes being declared.
pub(crate) struct Routes {
    state: AppState,
    router: Router<AppState>,
    list: Vec<RouteInfo>,
}

impl Routes {
    /// None yet.
    pub(crate) fn new(state: AppState) -> Self {
        Routes { state, router: Router::new(), list: Vec::new() }
    }

    /// A route that is read.
    pub(crate) fn get<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.add(Method::GET, MethodFilter::GET, path, access, handler)
    }

    /// A route that changes something.
    pub(crate) fn post<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.add(Method::POST, MethodFilter::POST, path, access, handler)
    }

    /// A route that takes something away.
    pub(crate) fn delete<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.add(Method::DELETE, MethodFilter::DELETE, path, access, handler)
    }

    fn add<H, T>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let state = self.state.clone();
        let route = on(filter, handler);
        let route = match access {
            Access::Public => route,
            Access::PublicForm => route.route_layer(from_fn_with_state(state, gate::own_form)),
            Access::Customer => route.route_layer(from_fn_with_state(state, gate::customer)),
            // The last layer stands outermost: first who it is, then whose form it is.
            Access::CustomerForm => route
                .route_layer(from_fn_with_state(state.clone(), gate::own_form))
                .route_layer(from_fn_with_state(state, gate::customer)),
            Access::Bearer => route.route_layer(from_fn_with_state(state, gate::bearer)),
            Access::Staff(needed) => route
                .route_layer(from_fn_with_state(needed, gate::staff))
                .route_layer(from_fn_with_state(state, gate::customer)),
            Access::StaffForm(needed) => route
                .route_layer(from_fn_with_state(state.clone(), gate::own_form))
                .route_layer(from_fn_with_state(needed, gate::staff))
                .route_layer(from_fn_with_state(state, gate::customer)),
            Access::StaffBearer(needed) => route
                .route_layer(from_fn_with_state(needed, gate::staff))
                .route_layer(from_fn_with_state(state, gate::bearer)),
            Access::Site => route.route_layer(from_fn_with_state(state, gate::site)),
        };
        self.router = self.router.route(path, route);
        self.list.push(RouteInfo { method, path, access });
        self
    }

    /// The router and the list of what is in it.
    pub(crate) fn finish(self) -> (Router<AppState>, Vec<RouteInfo>) {
        (self.router, self.list)
    }
}
