namespace Kcore.TestKit.Histories;

/// <summary>
/// What the addresses of one network must do, written down a second time and as plainly as possible: the next address in
/// order, none twice, an attachment has one address in its life. Steps can be taken back.
/// </summary>
internal sealed class AddressModel(IReadOnlyList<string> order)
{
    // An attachment with null was released.
    private readonly Dictionary<string, string?> _attachments = [];
    private readonly HashSet<string> _granted = [];
    private int _cursor;

    /// <summary>Equal for equal states, whatever steps led to them.</summary>
    public ulong Hash { get; private set; }

    /// <summary>
    /// Takes the step if the answer the client got is the one that must be given now.
    /// </summary>
    /// <param name="operation">The request and its answer.</param>
    /// <param name="undo">Takes the step back.</param>
    public bool TryStep(HistoryOperation operation, out Action undo)
    {
        bool isKnown = _attachments.TryGetValue(operation.Attachment, out string? held);
        undo = () => { };
        switch (operation.Action)
        {
            case AddressAction.Lookup:
                return Fits(operation, held is null ? AnswerKind.NotHeld : AnswerKind.Held, held);
            case AddressAction.Release when held is not null:
                if (!Fits(operation, AnswerKind.Released, null))
                {
                    return false;
                }

                Set(operation.Attachment, held, null);
                undo = () => Set(operation.Attachment, null, held);
                return true;
            case AddressAction.Release:
                return Fits(operation, isKnown ? AnswerKind.Released : AnswerKind.Refused, null);
            case AddressAction.Allocate when held is not null:
                return operation.Wanted is not null && operation.Wanted != held
                    ? Fits(operation, AnswerKind.Refused, null)
                    : Fits(operation, AnswerKind.Granted, held);
            case AddressAction.Allocate when isKnown:
                return Fits(operation, AnswerKind.Refused, null);
            default:
                return TryGrant(operation, ref undo);
        }
    }

    private static bool Fits(HistoryOperation operation, AnswerKind answer, string? address) =>
        operation.Answer == AnswerKind.Unknown || (operation.Answer == answer && operation.Address == address);

    private bool TryGrant(HistoryOperation operation, ref Action undo)
    {
        int before = _cursor;
        string? address = operation.Wanted;
        if (address is null)
        {
            int next = _cursor;
            while (next < order.Count && _granted.Contains(order[next]))
            {
                next++;
            }

            if (next == order.Count)
            {
                return Fits(operation, AnswerKind.Exhausted, null);
            }

            address = order[next];
        }
        else if (!order.Contains(address) || _granted.Contains(address))
        {
            return Fits(operation, AnswerKind.Refused, null);
        }

        if (!Fits(operation, AnswerKind.Granted, address))
        {
            return false;
        }

        string granted = address;
        _granted.Add(granted);
        while (_cursor < order.Count && _granted.Contains(order[_cursor]))
        {
            _cursor++;
        }

        _attachments.Add(operation.Attachment, granted);
        Hash += Mix(operation.Attachment, granted);
        undo = () =>
        {
            _granted.Remove(granted);
            _cursor = before;
            _attachments.Remove(operation.Attachment);
            Hash -= Mix(operation.Attachment, granted);
        };
        return true;
    }

    private void Set(string attachment, string? before, string? after)
    {
        _attachments[attachment] = after;
        Hash += Mix(attachment, after) - Mix(attachment, before);
    }

    private static ulong Mix(string attachment, string? address)
    {
        ulong hash = 0xCBF2_9CE4_8422_2325;
        foreach (char c in attachment)
        {
            hash = (hash ^ c) * 0x0000_0100_0000_01B3;
        }

        hash = (hash ^ '=') * 0x0000_0100_0000_01B3;
        foreach (char c in address ?? "-")
        {
            hash = (hash ^ c) * 0x0000_0100_0000_01B3;
        }

        return hash * 0x9E37_79B9_7F4A_7C15;
    }
}
