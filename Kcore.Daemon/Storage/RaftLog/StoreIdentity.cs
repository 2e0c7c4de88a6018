namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>Whose store it is; written once, last, when the store is made, so that its presence means the store is whole.</summary>
/// <param name="NodeUid">The node.</param>
/// <param name="StoreId">This store: a wiped one comes back with another id.</param>
/// <param name="ClusterId">The cluster the log belongs to.</param>
/// <param name="Epoch">1; one more after each unsafe recovery.</param>
/// <param name="MachineId">The machine id at creation, up to 64 characters; another one at start means a cloned disk.</param>
public sealed record StoreIdentity(Guid NodeUid, Guid StoreId, Guid ClusterId, uint Epoch, string MachineId);

/// <summary>Who opens a store.</summary>
/// <param name="NodeUid">The node's uid.</param>
/// <param name="MachineId">The machine id now.</param>
public sealed record StoreOwner(Guid NodeUid, string MachineId);
