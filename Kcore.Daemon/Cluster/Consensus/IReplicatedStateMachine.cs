using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>What one committed command answered, and what it changed, in order.</summary>
public readonly record struct ApplyOutcome<TResult, TChange>(TResult Result, ImmutableArray<TChange> Changes);

/// <summary>
/// The state that all nodes compute alike from the committed commands. Driven by the consensus loop alone, one call at a
/// time; deterministic: no clock, no randomness, no order that differs between machines.
/// </summary>
/// <typeparam name="TResult">The answer to one command.</typeparam>
/// <typeparam name="TChange">One fact that became true or ceased to be.</typeparam>
public interface IReplicatedStateMachine<TResult, TChange>
{
    /// <summary>
    /// Executes one committed command. Any bytes must be survived: a command that no version can read is refused alike on
    /// every node, because throwing would stop them all.
    /// </summary>
    /// <exception cref="Storage.RaftLog.NewerVersionException">Newer versions execute it; nothing was changed.</exception>
    ApplyOutcome<TResult, TChange> Apply(ulong index, ReadOnlyMemory<byte> command);

    /// <summary>
    /// Asked on the leader before a command is written to the log. What this version could not execute is answered here and
    /// goes no further: once committed it would stop every member of this version.
    /// </summary>
    bool TryRefuse(ReadOnlyMemory<byte> command, [MaybeNullWhen(false)] out TResult refusal);

    /// <summary>The whole state as bytes: equal states give equal bytes.</summary>
    byte[] TakeSnapshot();

    /// <summary>Replaces the whole state by one that <see cref="TakeSnapshot"/> gave.</summary>
    /// <exception cref="InvalidDataException">The bytes are not such a snapshot; the state is unchanged.</exception>
    /// <exception cref="Storage.RaftLog.NewerVersionException">A newer version gave them; the state is unchanged.</exception>
    void Restore(ReadOnlyMemory<byte> snapshot);

    /// <summary>The changes that would build the present state from nothing.</summary>
    ImmutableArray<TChange> EnumerateAll();
}

/// <summary>
/// Hears what is applied, in log order, on the loop itself: it must return at once and not throw. After a restart the
/// replay of the log is heard again, so what it does must be idempotent (stamp it with the index).
/// </summary>
public interface IConsensusObserver<TResult, TChange>
{
    /// <summary>
    /// What the store held as committed has been heard, in <see cref="Restored"/> and <see cref="Applied"/>; from now on
    /// there is news. Once, also when the store was empty.
    /// </summary>
    void Opened(ulong index);

    /// <summary>The state was replaced by a snapshot; <paramref name="all"/> is everything that is true now.</summary>
    void Restored(ulong index, ImmutableArray<TChange> all);

    /// <summary>One command was applied.</summary>
    void Applied(ulong index, TResult result, ImmutableArray<TChange> changes);

    /// <summary>Term, role, leader, voters or fault became other than before.</summary>
    void StatusChanged(ConsensusStatus status);
}
