//! Roles of staff, and what each may do: the one table that every page and call of the operator's asks.
//!
//! A permission is named by each operator's route (`gruve_web`), and by nothing else; who has it stands
//! here. Roles are five because people in a mining house are: who owns it, who pays, who repairs, who
//! answers customers, and who only looks.

use std::fmt;
use std::str::FromStr;

/// What somebody is to the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May do everything, and say who else may do what.
    Owner,
    /// Money: payouts, plans, prices, what is agreed with owners of machines.
    Finance,
    /// Machines and sites.
    Technician,
    /// Customers' questions.
    Support,
    /// Reads everything, changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] =
        [Role::Owner, Role::Finance, Role::Technician, Role::Support, Role::Auditor];

    /// The stable word, as stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Finance => "finance",
            Role::Technician => "technician",
            Role::Support => "support",
            Role::Auditor => "auditor",
        }
    }

    /// Whether the table gives it a permission.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        PERMISSIONS.iter().any(|(p, roles)| *p == permission && roles.contains(&self))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        let found = Role::ALL.into_iter().find(|r| r.name() == text);
        found.ok_or_else(|| "write owner, finance, technician, support or auditor".to_owned())
    }
}

/// One thing that staff may be allowed to do. Those that begin with `See` only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Lanes, nodes, sites, machines, hosting contracts, tickets.
    SeeFarm,
    /// Customers with their contracts, invoices and payouts.
    SeeCustomers,
    /// Journal, prices, reserves, payouts by state.
    SeeBooks,
    /// The security log.
    SeeLog,
    /// Who has which role.
    SeeStaff,
    /// Record idled and moved machines; the inventory's states.
    RunMachines,
    /// Sites' electricity and their agents' tokens.
    RunSites,
    /// Open, answer and close tickets.
    AnswerTickets,
    /// Offer machines to customers, take offers back, end contracts.
    RunHosting,
    /// Approve and refuse payouts that wait for a person.
    DecidePayouts,
    /// Make, change and withdraw plans.
    SetPlans,
    /// Tell prices in the name of a source.
    TellPrices,
    /// Put the operator's coins into reserves and take them out.
    MoveReserves,
    /// End a customer's sessions.
    EndSessions,
    /// Give and take roles.
    GiveRoles,
}

impl Permission {
    /// Whether it changes nothing.
    #[must_use]
    pub const fn only_reads(self) -> bool {
        matches!(
            self,
            Permission::SeeFarm
                | Permission::SeeCustomers
                | Permission::SeeBooks
                | Permission::SeeLog
                | Permission::SeeStaff
        )
    }
}

use Role::{Auditor, Finance, Owner, Support, Technician};

/// Who may do what.
pub const PERMISSIONS: [(Permission, &[Role]); 15] = [
    (Permission::SeeFarm, &[Owner, Finance, Technician, Support, Auditor]),
    (Permission::SeeCustomers, &[Owner, Finance, Support, Auditor]),
    (Permission::SeeBooks, &[Owner, Finance, Auditor]),
    (Permission::SeeLog, &[Owner, Auditor]),
    (Permission::SeeStaff, &[Owner, Auditor]),
    (Permission::RunMachines, &[Owner, Technician]),
    (Permission::RunSites, &[Owner, Technician]),
    (Permission::AnswerTickets, &[Owner, Technician, Support]),
    (Permission::RunHosting, &[Owner, Finance]),
    (Permission::DecidePayouts, &[Owner, Finance]),
    (Permission::SetPlans, &[Owner, Finance]),
    (Permission::TellPrices, &[Owner, Finance]),
    (Permission::MoveReserves, &[Owner]),
    (Permission::EndSessions, &[Owner, Support]),
    (Permission::GiveRoles, &[Owner]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_may_do_everything_and_the_auditor_only_reads_but_all_of_it() {
        for (permission, _) in PERMISSIONS {
            assert!(Owner.may(permission), "{permission:?}");
            assert_eq!(Auditor.may(permission), permission.only_reads(), "{permission:?}");
        }
    }

    #[test]
    fn a_permission_stands_in_the_table_once() {
        for (at, (permission, roles)) in PERMISSIONS.iter().enumerate() {
            assert!(PERMISSIONS.iter().skip(at + 1).all(|(p, _)| p != permission));
            assert!(!roles.is_empty());
        }
    }

    #[test]
    fn who_moves_money_does_not_give_roles_and_who_answers_customers_moves_none() {
        assert!(!Finance.may(Permission::GiveRoles));
        for money in [Permission::DecidePayouts, Permission::MoveReserves, Permission::TellPrices] {
            assert!(!Support.may(money) && !Technician.may(money), "{money:?}");
        }
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.name().parse::<Role>(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
