using Kcore.Gossip;

namespace Kcore.Daemon.Catalog;

/// <summary>What does not change about this node while the daemon runs.</summary>
internal sealed record LocalNode(NodeId Id, string Name, bool VxlanDisabled, string Version);
