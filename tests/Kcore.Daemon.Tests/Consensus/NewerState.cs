using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Tests.Ipam;

namespace Kcore.Daemon.Tests.Consensus;

/// <summary>The state of a version that is to come: it knows one more command, and its snapshots are of another format.</summary>
internal sealed class NewerState(ReplicatedState inner) : IReplicatedStateMachine<ReplicatedResult, ReplicatedChange>
{
    /// <summary>Gives an address to attachment 77.</summary>
    public static readonly byte[] Command = [1, 200];

    private const byte Format = 250;

    public ApplyOutcome<ReplicatedResult, ReplicatedChange> Apply(ulong index, ReadOnlyMemory<byte> command) =>
        inner.Apply(index, command.Span.SequenceEqual(Command) ? CommandCodec.Encode(Commands.Allocate(77)) : command);

    public bool TryRefuse(ReadOnlyMemory<byte> command, [MaybeNullWhen(false)] out ReplicatedResult refusal)
    {
        refusal = null;
        return !command.Span.SequenceEqual(Command) && inner.TryRefuse(command, out refusal);
    }

    public byte[] TakeSnapshot() => [Format, .. inner.TakeSnapshot()];

    public void Restore(ReadOnlyMemory<byte> snapshot) => inner.Restore(snapshot.Span[0] == Format ? snapshot[1..] : snapshot);

    public ImmutableArray<ReplicatedChange> EnumerateAll() => inner.EnumerateAll();
}
