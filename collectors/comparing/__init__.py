"""Says what another monitor sees and Towpath does not, and the other way round."""
