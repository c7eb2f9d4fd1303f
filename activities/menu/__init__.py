"""The menu's pages, one per subject. Workflows take them from `activities.ports`."""
