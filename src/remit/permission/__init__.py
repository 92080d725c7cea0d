"""May they: policy at each of its decision points, and the approvals that it demands."""
