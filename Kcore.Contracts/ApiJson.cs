using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Kcore.Contracts;

/// <summary>The JSON of the Unix socket: camelCase, nulls left out, unknown members of a request refused.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(CreateNetworkRequest))]
[JsonSerializable(typeof(ChangeReceipt))]
[JsonSerializable(typeof(ImmutableArray<NetworkSummary>))]
[JsonSerializable(typeof(NetworkDetail))]
[JsonSerializable(typeof(NetworkAddresses))]
[JsonSerializable(typeof(ReleaseOrphansRequest))]
[JsonSerializable(typeof(ReleasedOrphans))]
[JsonSerializable(typeof(AttachNicRequest))]
[JsonSerializable(typeof(NicInfo))]
[JsonSerializable(typeof(MoveNicRequest))]
[JsonSerializable(typeof(MovedNic))]
[JsonSerializable(typeof(ImmutableArray<NicInfo>))]
[JsonSerializable(typeof(ImmutableArray<NodeSummary>))]
[JsonSerializable(typeof(NodeDetail))]
[JsonSerializable(typeof(DrainRequest))]
[JsonSerializable(typeof(LeaveRequest))]
[JsonSerializable(typeof(ResetRequest))]
[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(ClusterReport))]
[JsonSerializable(typeof(TransferLeaderRequest))]
[JsonSerializable(typeof(PlanReport))]
[JsonSerializable(typeof(DoctorReport))]
[JsonSerializable(typeof(EventInfo))]
[JsonSerializable(typeof(ClusterKeys))]
[JsonSerializable(typeof(RotateKeyRequest))]
[JsonSerializable(typeof(JoinTokenReply))]
[JsonSerializable(typeof(JoinClusterRequest))]
[JsonSerializable(typeof(ImmutableArray<LanNeighbour>))]
[JsonSerializable(typeof(VersionInfo))]
public sealed partial class ApiJson : JsonSerializerContext;
