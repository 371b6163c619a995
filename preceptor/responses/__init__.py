"""The responses of each teacher."""
