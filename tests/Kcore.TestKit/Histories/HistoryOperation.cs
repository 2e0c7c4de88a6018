namespace Kcore.TestKit.Histories;

/// <summary>What a client asked of the addresses of one network.</summary>
public enum AddressAction
{
    Allocate,
    Release,
    Lookup,
}

/// <summary>What a client was told.</summary>
public enum AnswerKind
{
    /// <summary>Nothing: it may or may not have happened, and it may still happen.</summary>
    Unknown,

    /// <summary>Of an allocation: this address.</summary>
    Granted,

    /// <summary>Of an allocation: no address is left.</summary>
    Exhausted,

    /// <summary>Of a release: the attachment holds nothing any more.</summary>
    Released,

    /// <summary>The request can't be fulfilled: the attachment was released, never was, or the wanted address is taken.</summary>
    Refused,

    /// <summary>Of a lookup: the attachment holds this address.</summary>
    Held,

    /// <summary>Of a lookup: the attachment holds none.</summary>
    NotHeld,
}

/// <summary>One request as its client saw it. Times are of one clock that all clients share.</summary>
/// <param name="Network">Which addresses.</param>
/// <param name="Action">What was asked.</param>
/// <param name="Attachment">For whom.</param>
/// <param name="Wanted">The address asked for, or null for the next one.</param>
/// <param name="Called">When it was asked first.</param>
/// <param name="Returned">When it was answered; <see cref="Never"/> if it was not.</param>
/// <param name="Answer">The answer.</param>
/// <param name="Address">The address in it, if any.</param>
public sealed record HistoryOperation(
    string Network,
    AddressAction Action,
    string Attachment,
    string? Wanted,
    long Called,
    long Returned,
    AnswerKind Answer,
    string? Address)
{
    public const long Never = long.MaxValue;

    public override string ToString() =>
        $"[{Called}–{(Returned == Never ? "…" : Returned)}] {Action} {Attachment}{(Wanted is null ? "" : $" ({Wanted})")} on {Network}: {Answer} {Address}";
}
