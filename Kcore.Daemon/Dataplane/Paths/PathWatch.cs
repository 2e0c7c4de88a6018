using System.Collections.Frozen;
using System.Net;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>A question to put to a peer: a tunnel packet of this size, IPv4 header included, that only it can answer.</summary>
internal sealed record PathQuestion(NodeId Node, IPAddress Address, UInt128 Nonce, int Bytes);

/// <summary>A peer this node shares an overlay with.</summary>
/// <param name="IsAlive">Whether its daemon can answer. One that cannot is not asked.</param>
internal sealed record PathPeer(NodeId Node, IPAddress Address, bool IsAlive);

/// <summary>
/// Finds out for every peer whether tunnel packets get there and back, and how large they may be. Pure: peers, answers,
/// nonces and the time go in; whom to ask what, and what is known, come out. There is one question at a time for a peer.
/// <code>
///   small ──answered──► full size (every so often) ──answered──► Works
///     │                     └──not answered, thrice──► search between the two ──► TooSmall
///     └──not answered, eight times──► Broken ──answered──► full size
/// </code>
/// A silence of this node's own making (it stood still, it could not send) is nobody's fault.
/// </summary>
internal sealed class PathWatch(PathRules rules, int smallBytes, Random random)
{
    private readonly SortedDictionary<NodeId, Path> _paths = [];
    private FrozenDictionary<NodeId, PathSight> _sights = FrozenDictionary<NodeId, PathSight>.Empty;
    private int _fullBytes;

    /// <summary>When <see cref="Ask"/> is wanted next; null when there is nobody to ask.</summary>
    public TimeSpan? NextDeadline => _paths.Values.Where(p => p.IsAlive).Select(p => (TimeSpan?)p.DueAt).Min();

    /// <summary>What is known now; the same object as long as nothing changed.</summary>
    public FrozenDictionary<NodeId, PathSight> Sights
    {
        get
        {
            if (_sights.Count != _paths.Count || _paths.Any(p => !_sights.TryGetValue(p.Key, out PathSight? sight) || !Shows(sight, p.Value)))
            {
                _sights = _paths.ToFrozenDictionary(p => p.Key, p => Sight(p.Value));
            }

            return _sights;
        }
    }

    /// <summary>Takes in the peers and how large a packet of this node may be; who is not named any more is forgotten.</summary>
    public void Observe(IEnumerable<PathPeer> peers, int fullBytes, TimeSpan now)
    {
        HashSet<NodeId> gone = [.. _paths.Keys];
        foreach (PathPeer peer in peers)
        {
            gone.Remove(peer.Node);
            if (!_paths.TryGetValue(peer.Node, out Path? path) || !path.Address.Equals(peer.Address))
            {
                _paths[peer.Node] = path = new Path(peer.Address) { DueAt = now + (rules.Spread * random.NextDouble()) };
            }

            if (path.IsAlive != peer.IsAlive)
            {
                path.IsAlive = peer.IsAlive;
                path.Forget();
                path.DueAt = now + (rules.Spread * random.NextDouble());
            }
        }

        foreach (NodeId node in gone)
        {
            _paths.Remove(node);
        }

        if (Math.Max(fullBytes, smallBytes) != _fullBytes)
        {
            _fullBytes = Math.Max(fullBytes, smallBytes);
            foreach (Path path in _paths.Values)
            {
                path.MeasureAgain();
            }
        }
    }

    /// <summary>A question of a peer has arrived.</summary>
    public void Heard(NodeId node)
    {
        if (_paths.TryGetValue(node, out Path? path))
        {
            path.HeardSince = true;
        }
    }

    /// <summary>A peer has answered; what was not asked, or was given up, changes nothing.</summary>
    public void Answered(NodeId node, UInt128 nonce, TimeSpan now)
    {
        if (_paths.TryGetValue(node, out Path? path) && path.Open is { } open && open.Nonce == nonce)
        {
            path.Open = null;
            path.Misses = 0;
            Passed(path, open.Bytes, now);
        }
    }

    /// <summary>A question could not be sent.</summary>
    /// <param name="tooLong">The device here does not take a packet of that size, which is as good as the path not carrying it.</param>
    public void NotSent(PathQuestion question, bool tooLong)
    {
        if (_paths.TryGetValue(question.Node, out Path? path) && path.Open?.Nonce == question.Nonce && !tooLong)
        {
            path.Forget();
        }
    }

    /// <summary>Counts what was not answered, and gives what to ask now.</summary>
    public List<PathQuestion> Ask(TimeSpan now, Func<UInt128> nextNonce)
    {
        if (NextDeadline is { } due && now - due >= rules.StallMin)
        {
            foreach (Path path in _paths.Values)
            {
                path.Forget();
            }
        }

        List<PathQuestion> questions = [];
        foreach ((NodeId node, Path path) in _paths.Where(p => p.Value.IsAlive && p.Value.DueAt <= now).OrderBy(p => p.Value.DueAt).Take(rules.AtOnce))
        {
            if (path.Open is { } lost)
            {
                path.Open = null;
                Missed(path, lost.Bytes, now);
                if (path.DueAt > now)
                {
                    continue;
                }
            }

            var question = new PathQuestion(node, path.Address, nextNonce(), SizeFor(path, now));
            path.Open = question;
            path.DueAt = now + rules.Patience;
            questions.Add(question);
        }

        return questions;
    }

    private bool Shows(PathSight sight, Path path) =>
        sight.State == path.Shown && sight.Full == _fullBytes && sight.Passes == path.ShownPasses && sight.Hears == path.ShownHears && sight.Address.Equals(path.Address);

    private PathSight Sight(Path path) => new(path.Shown, path.Address, _fullBytes, path.ShownPasses, path.ShownHears);

    private int SizeFor(Path path, TimeSpan now) => path switch
    {
        { SmallIsDue: true } => smallBytes,
        { Search: { } search } => search.Next,
        _ => now >= path.FullAt ? _fullBytes : smallBytes,
    };

    private void Passed(Path path, int bytes, TimeSpan now)
    {
        path.SmallIsDue = false;
        path.DueAt = now;
        if (bytes == _fullBytes)
        {
            (path.State, path.Search, path.FullMisses) = (PathState.Works, null, 0);
            path.FullAt = now + rules.FullSize;
            Rest(path, now);
        }
        else if (path.Search is { } search)
        {
            search.Passed(bytes);
            Conclude(path, search, now);
        }
        else
        {
            // A path that carries small packets again may have changed in size, too.
            path.State = path.State == PathState.Broken ? PathState.Unknown : path.State;
            if (path.FullAt > now)
            {
                Rest(path, now);
            }
        }
    }

    private void Missed(Path path, int bytes, TimeSpan now)
    {
        path.DueAt = now;
        if (bytes == smallBytes)
        {
            // What arrived before may have come before the path was cut.
            path.HeardSince &= path.Misses > 0;
            path.Misses++;
            if (path.Misses >= rules.BrokenCount)
            {
                path.State = PathState.Broken;
                path.MeasureAgain();
                path.DueAt = now + rules.Broken - rules.Patience;
            }
        }
        else if (path.Search is { } search && bytes != _fullBytes)
        {
            search.Missed(bytes, rules.SearchCount);
            Conclude(path, search, now);
        }
        else
        {
            FullMissed(path, now);
        }
    }

    /// <summary>Only between two small packets that were answered does the silence say something of the size.</summary>
    private void FullMissed(Path path, TimeSpan now)
    {
        path.SmallIsDue = true;
        bool known = path.State == PathState.TooSmall;
        if (++path.FullMisses >= rules.TooSmallCount || known)
        {
            path.FullMisses = 0;
            path.FullAt = now + rules.FullSize;
            if (!known || now >= path.SearchAt)
            {
                path.Search = new SizeSearch(smallBytes, _fullBytes);
            }
        }
    }

    private void Conclude(Path path, SizeSearch search, TimeSpan now)
    {
        if (!search.IsOver)
        {
            return;
        }

        // When nothing above the small packet passed, it must be seen that this one still does.
        if (search.Low == smallBytes && !search.IsConfirmed)
        {
            path.SmallIsDue = true;
            return;
        }

        (path.State, path.Passes, path.Search) = (PathState.TooSmall, search.Low, null);
        path.SearchAt = now + rules.Search;
        path.FullAt = now + rules.FullSize;
        Rest(path, now);
    }

    /// <summary>Never all peers at one moment, whatever began at one.</summary>
    private void Rest(Path path, TimeSpan now) => path.DueAt = now + (rules.Routine * (0.9 + (0.2 * random.NextDouble())));

    private sealed class Path(IPAddress address)
    {
        public IPAddress Address { get; } = address;

        public bool IsAlive { get; set; } = true;

        public PathState State { get; set; }

        public int? Passes { get; set; }

        /// <summary>The question that waits for its answer.</summary>
        public PathQuestion? Open { get; set; }

        /// <summary>When the open question is given up, or the next one is put.</summary>
        public TimeSpan DueAt { get; set; }

        public TimeSpan FullAt { get; set; }

        public TimeSpan SearchAt { get; set; }

        public SizeSearch? Search { get; set; }

        /// <summary>Whether the next question is a small one, whatever else is due.</summary>
        public bool SmallIsDue { get; set; } = true;

        public int Misses { get; set; }

        public int FullMisses { get; set; }

        /// <summary>Whether a question of the peer arrived after the first one of ours that it did not answer.</summary>
        public bool HeardSince { get; set; }

        /// <summary>A daemon that does not live answers nothing: nothing is known of the path then.</summary>
        public PathState Shown => IsAlive ? State : PathState.Unknown;

        public int? ShownPasses => Shown == PathState.TooSmall ? Passes : null;

        public bool ShownHears => Shown == PathState.Broken && HeardSince;

        public void Forget()
        {
            (Open, Misses, FullMisses) = (null, 0, 0);
            SmallIsDue = true;
        }

        public void MeasureAgain()
        {
            (Search, FullMisses, FullAt) = (null, 0, TimeSpan.Zero);
            SmallIsDue = true;
        }
    }
}
