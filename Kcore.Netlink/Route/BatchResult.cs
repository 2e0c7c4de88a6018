using System.Collections.Immutable;

namespace Kcore.Netlink.Route;

/// <summary>One refused message of a batch.</summary>
/// <param name="Index">Position in the batch, as the building method returned it.</param>
/// <param name="Description">What the message was to do.</param>
public sealed record MessageFailure(int Index, string Description, NetlinkError Error);

/// <summary>What the kernel said to a batch. Messages without a failure were done; a failure does not undo or stop others.</summary>
/// <param name="Count">Messages sent.</param>
/// <param name="Failures">In order of the batch.</param>
public sealed record BatchResult(int Count, ImmutableArray<MessageFailure> Failures)
{
    public bool Succeeded => Failures.IsEmpty;

    /// <summary>The error of one message, null when it was done.</summary>
    public NetlinkError? ErrorOf(int index) => Failures.FirstOrDefault(f => f.Index == index)?.Error;

    /// <exception cref="NetlinkException">Carries the first failure.</exception>
    public void ThrowIfFailed()
    {
        if (Failures is [var first, ..])
        {
            throw new NetlinkException(first.Description, first.Error);
        }
    }
}
