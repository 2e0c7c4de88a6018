namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>
/// One command on its way. Whoever moves it out of waiting first decides: the loop by appending it, or the caller by
/// giving up; so a caller that was told "nothing was written" is never contradicted later.
/// </summary>
/// <param name="command">What to do.</param>
/// <param name="asked">When, by the loop's clock.</param>
/// <param name="number">The name it is answered under.</param>
/// <param name="answers">Who hears the answer; null if <see cref="Result"/> is awaited.</param>
internal sealed class Proposal<TResult>(ReadOnlyMemory<byte> command, long asked, ulong number = 0, IProposalAnswers<TResult>? answers = null)
{
    private const int Waiting = 0;
    private const int Appended = 1;
    private const int Abandoned = 2;

    private readonly TaskCompletionSource<TResult>? _completion =
        answers is null ? new(TaskCreationOptions.RunContinuationsAsynchronously) : null;

    private int _state = Waiting;

    public ReadOnlyMemory<byte> Command { get; } = command;

    public long Asked { get; } = asked;

    public IProposalAnswers<TResult>? Answers { get; } = answers;

    /// <summary>The term it was appended in.</summary>
    public ulong Term { get; set; }

    /// <summary>For who awaits it.</summary>
    public Task<TResult> Result => _completion!.Task;

    /// <summary>False if the caller gave up before.</summary>
    public bool TryBeginAppend() => Interlocked.CompareExchange(ref _state, Appended, Waiting) == Waiting;

    /// <summary>Takes back <see cref="TryBeginAppend"/> when the core refused.</summary>
    public void CancelAppend() => Interlocked.CompareExchange(ref _state, Waiting, Appended);

    /// <summary>True if nothing was nor will be written, whoever of the two gave it up.</summary>
    public bool TryAbandon() => Interlocked.CompareExchange(ref _state, Abandoned, Waiting) != Appended;

    public void Succeed(TResult result)
    {
        Answers?.Grant(number, result);
        _completion?.TrySetResult(result);
    }

    public void Fail(ProposeException failure)
    {
        Answers?.Refuse(number, failure);
        _completion?.TrySetException(failure);
    }
}
