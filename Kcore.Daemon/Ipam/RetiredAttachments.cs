namespace Kcore.Daemon.Ipam;

/// <summary>
/// Attachments that were released: a late duplicate of their request must not be granted anew. Each is kept for as long as
/// a request from before its release may still be valid, so there are never more of them than releases in one lifetime of
/// a request.
/// </summary>
internal sealed class RetiredAttachments
{
    /// <summary>In place of the index of a release, for what is kept until its network is deleted.</summary>
    public const ulong Undated = 0;

    private readonly SortedDictionary<AttachmentId, (NetworkUid Network, ulong Index)> _rows = [];
    private readonly SortedSet<(ulong Index, AttachmentId Attachment)> _byAge = [];

    public int Count => _rows.Count;

    public IEnumerable<(AttachmentId Attachment, NetworkUid Network, ulong Index)> Rows =>
        _rows.Select(row => (row.Key, row.Value.Network, row.Value.Index));

    public bool Contains(AttachmentId attachment) => _rows.ContainsKey(attachment);

    /// <param name="attachment">Never granted anything again.</param>
    /// <param name="network">Where it was asked for.</param>
    /// <param name="index">The log index of the release, or <see cref="Undated"/>.</param>
    /// <returns>False if it is there already.</returns>
    public bool TryAdd(AttachmentId attachment, NetworkUid network, ulong index)
    {
        if (!_rows.TryAdd(attachment, (network, index)))
        {
            return false;
        }

        if (index != Undated)
        {
            _byAge.Add((index, attachment));
        }

        return true;
    }

    /// <summary>Forgets what was released before <paramref name="index"/>.</summary>
    public void ForgetBefore(ulong index)
    {
        while (_byAge.Count > 0 && _byAge.Min.Index < index)
        {
            Remove(_byAge.Min.Attachment);
        }
    }

    /// <summary>Forgets what was released on a network that is gone, where nothing is granted anyway.</summary>
    public void ForgetOn(NetworkUid network)
    {
        foreach (AttachmentId attachment in _rows.Where(row => row.Value.Network == network).Select(row => row.Key).ToArray())
        {
            Remove(attachment);
        }
    }

    private void Remove(AttachmentId attachment)
    {
        _rows.Remove(attachment, out (NetworkUid Network, ulong Index) row);
        _byAge.Remove((row.Index, attachment));
    }
}
