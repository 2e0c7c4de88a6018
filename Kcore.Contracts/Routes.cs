namespace Kcore.Contracts;

/// <summary>
/// The HTTP surface on the Unix socket.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item><c>GET /v1/status</c> → <see cref="StatusReport"/></item>
/// <item><c>GET /v1/cluster</c> → <see cref="ClusterReport"/></item>
/// <item><c>POST /v1/cluster/transfer-leader</c> <see cref="TransferLeaderRequest"/> → <see cref="ChangeReceipt"/></item>
/// <item><c>POST /v1/cluster/recover-finalize</c> → <see cref="ChangeReceipt"/></item>
/// <item><c>GET /v1/digest[?not=HEX]</c> → the catalog's digest as 16 hex digits; with <c>not</c>, as soon as it is another one, at the latest after 30 s</item>
/// <item><c>GET /v1/networks[?all=true]</c> → array of <see cref="NetworkSummary"/>, sorted by name</item>
/// <item><c>POST /v1/networks</c> <see cref="CreateNetworkRequest"/> → <see cref="ChangeReceipt"/></item>
/// <item><c>GET /v1/networks/{name}[?targetNode=N]</c> → <see cref="NetworkDetail"/></item>
/// <item><c>DELETE /v1/networks/{name}[?targetNode=N]</c> → <see cref="ChangeReceipt"/></item>
/// <item><c>POST /v1/networks/{name}/reclaim</c> → <see cref="ChangeReceipt"/></item>
/// <item><c>POST /v1/networks/{name}/release-orphans</c> <see cref="ReleaseOrphansRequest"/> → <see cref="ReleasedOrphans"/></item>
/// <item><c>GET /v1/nodes</c> → array of <see cref="NodeSummary"/>; <c>GET /v1/nodes/{nameOrId}</c> → <see cref="NodeDetail"/></item>
/// <item><c>DELETE /v1/nodes/{nameOrId}[?force=true]</c> removes a node for good → <see cref="ChangeReceipt"/></item>
/// <item><c>POST /v1/node/drain</c> <see cref="DrainRequest"/>, <c>POST /v1/node/leave</c> <see cref="LeaveRequest"/>, <c>POST /v1/node/reset</c> <see cref="ResetRequest"/>: the serving node → <see cref="ChangeReceipt"/></item>
/// <item><c>POST /v1/node/wireguard-key</c> replaces the serving node's WireGuard key → <see cref="ChangeReceipt"/></item>
/// <item><c>GET /v1/nics[?network=N]</c> → array of <see cref="NicInfo"/></item>
/// <item><c>POST /v1/nics</c> <see cref="AttachNicRequest"/> → <see cref="NicInfo"/> once ready, or a refusal</item>
/// <item><c>DELETE /v1/nics/{network}/{name}</c> → <see cref="ChangeReceipt"/></item>
/// <item><c>POST /v1/nics/{network}/{name}/move</c> <see cref="MoveNicRequest"/> → <see cref="MovedNic"/></item>
/// <item><c>GET /v1/ips?network=N[&amp;local=true]</c> → <see cref="NetworkAddresses"/></item>
/// <item><c>GET /v1/plan</c> → <see cref="PlanReport"/></item>
/// <item><c>GET /v1/doctor</c> → <see cref="DoctorReport"/></item>
/// <item><c>GET /v1/events[?since=SEQUENCE][&amp;follow=true]</c> → <see cref="EventInfo"/>, one JSON object a line</item>
/// <item><c>GET /v1/cluster/keys</c> → <see cref="ClusterKeys"/>; <c>POST /v1/cluster/keys</c> <see cref="RotateKeyRequest"/> begins a rotation → <see cref="ClusterKeys"/></item>
/// <item><c>POST /v1/cluster/token</c> → <see cref="JoinTokenReply"/></item>
/// <item><c>POST /v1/cluster/join</c> <see cref="JoinClusterRequest"/> → <see cref="ChangeReceipt"/></item>
/// <item><c>GET /v1/neighbours</c> → array of <see cref="LanNeighbour"/></item>
/// <item><c>GET /v1/version</c> → <see cref="VersionInfo"/></item>
/// </list>
/// </remarks>
public static class Routes
{
    public const string Status = "/v1/status";
    public const string Cluster = "/v1/cluster";
    public const string TransferLeader = "/v1/cluster/transfer-leader";
    public const string RecoverFinalize = "/v1/cluster/recover-finalize";
    public const string Digest = "/v1/digest";
    public const string Networks = "/v1/networks";
    /// <summary>Below the path of a network.</summary>
    public const string Reclaim = "/reclaim";

    /// <summary>Below the path of a network.</summary>
    public const string ReleaseOrphans = "/release-orphans";

    public const string Nodes = "/v1/nodes";
    public const string Drain = "/v1/node/drain";
    public const string Leave = "/v1/node/leave";
    public const string Reset = "/v1/node/reset";
    public const string WireguardKey = "/v1/node/wireguard-key";
    public const string Nics = "/v1/nics";
    /// <summary>Below the path of a NIC.</summary>
    public const string Move = "/move";

    public const string Ips = "/v1/ips";
    public const string Plan = "/v1/plan";
    public const string Doctor = "/v1/doctor";
    public const string Events = "/v1/events";
    public const string ClusterKeys = "/v1/cluster/keys";
    public const string ClusterToken = "/v1/cluster/token";
    public const string ClusterJoin = "/v1/cluster/join";
    public const string Neighbours = "/v1/neighbours";
    public const string Version = "/v1/version";

    /// <summary>Where the daemon listens unless told otherwise.</summary>
    public const string DefaultSocket = "/run/kcore/kcored.sock";
}
