namespace Kcore.TestKit.Histories;

/// <summary>
/// Whether the answers of a history could have been given one after the other, each at some moment between its question
/// and its answer (Herlihy and Wing, 1990): the search of Wing and Gong (1993) with the memory of Lowe (2017), for each
/// network alone, because networks share no addresses. The search is exponential in the number of requests that overlap; keep
/// it to a dozen clients and a few hundred requests per network.
/// </summary>
public static class LinearizabilityChecker
{
    private const int StatesMax = 2_000_000;

    /// <summary>Null if the history is linearizable, else what is wrong with it.</summary>
    /// <param name="history">All requests.</param>
    /// <param name="orderOf">The addresses of a network in the order in which they are granted.</param>
    /// <param name="statesMax">
    /// How many states of one network the search looks at before it says so and gives up. A correct allocator's history takes about as
    /// many as it has requests; only one with a violation, many releases that overlap, or many requests without an answer takes more.
    /// </param>
    public static string? FindViolation(
        IEnumerable<HistoryOperation> history, Func<string, IReadOnlyList<string>> orderOf, int statesMax = StatesMax)
    {
        foreach (IGrouping<string, HistoryOperation> network in history.GroupBy(operation => operation.Network, StringComparer.Ordinal))
        {
            // A lookup nobody got an answer to says nothing and changes nothing.
            HistoryOperation[] operations =
                [.. network.Where(operation => operation is not { Action: AddressAction.Lookup, Answer: AnswerKind.Unknown })];
            if (new Search(operations, orderOf(network.Key), statesMax).Run() is { } violation)
            {
                return $"Network {network.Key} is not linearizable: {violation}";
            }
        }

        return null;
    }

    private sealed class Search
    {
        private readonly HistoryOperation[] _operations;
        private readonly AddressModel _model;
        private readonly int _statesMax;

        // Calls and returns in time, as a doubly linked list around entry 0; a call knows its return.
        private readonly int[] _operationOf;
        private readonly bool[] _isCall;
        private readonly int[] _returnOf;
        private readonly int[] _next;
        private readonly int[] _previous;

        private readonly ulong[] _placed;
        private readonly HashSet<Visited> _visited = [];
        private int _unansweredLeft;

        public Search(HistoryOperation[] operations, IReadOnlyList<string> order, int statesMax)
        {
            _operations = operations;
            _statesMax = statesMax;
            _model = new AddressModel(order);
            _placed = new ulong[(operations.Length + 63) / 64];
            int count = (operations.Length * 2) + 1;
            _operationOf = new int[count];
            _isCall = new bool[count];
            _returnOf = new int[count];
            _next = new int[count];
            _previous = new int[count];

            // At one moment calls come first: what touches counts as overlapping.
            (long Time, bool IsReturn, int Operation)[] events =
            [
                .. operations.SelectMany((operation, i) => new[] { (operation.Called, false, i), (operation.Returned, true, i) })
                    .OrderBy(e => e.Item1)
                    .ThenBy(e => e.Item2),
            ];
            var callOf = new int[operations.Length];
            for (int i = 0; i < events.Length; i++)
            {
                int entry = i + 1;
                _operationOf[entry] = events[i].Operation;
                _isCall[entry] = !events[i].IsReturn;
                if (events[i].IsReturn)
                {
                    _returnOf[callOf[events[i].Operation]] = entry;
                }
                else
                {
                    callOf[events[i].Operation] = entry;
                }

                _previous[entry] = i;
                _next[i] = entry;
            }

            _previous[0] = count - 1;
            _next[count - 1] = 0;
            _unansweredLeft = operations.Count(operation => operation.Returned != HistoryOperation.Never);
        }

        public string? Run()
        {
            var steps = new Stack<(int Call, Action Undo)>();
            int deepest = 0;
            string stuck = "";
            int entry = _next[0];
            while (_unansweredLeft > 0)
            {
                HistoryOperation operation = _operations[_operationOf[entry]];
                if (entry != 0 && _isCall[entry])
                {
                    if (_model.TryStep(operation, out Action undo))
                    {
                        Flip(_operationOf[entry]);
                        if (_visited.Add(new Visited([.. _placed], _model.Hash)))
                        {
                            steps.Push((entry, undo));
                            Lift(entry);
                            entry = _next[0];
                            continue;
                        }

                        Flip(_operationOf[entry]);
                        undo();
                    }

                    entry = _next[entry];
                    continue;
                }

                // A return whose request found no place: an earlier choice was wrong.
                if (steps.Count >= deepest)
                {
                    deepest = steps.Count;
                    stuck = $"after {steps.Count} of {_operations.Length} requests no place was found for {operation}";
                }

                if (_visited.Count > _statesMax)
                {
                    return $"no order was found in {_statesMax} states; {stuck}";
                }

                if (!steps.TryPop(out (int Call, Action Undo) last))
                {
                    return stuck;
                }

                last.Undo();
                Flip(_operationOf[last.Call]);
                Unlift(last.Call);
                entry = _next[last.Call];
            }

            return null;
        }

        private void Flip(int operation) => _placed[operation / 64] ^= 1UL << (operation % 64);

        private void Lift(int call)
        {
            Unlink(call);
            Unlink(_returnOf[call]);
            _unansweredLeft -= _operations[_operationOf[call]].Returned == HistoryOperation.Never ? 0 : 1;
        }

        private void Unlift(int call)
        {
            Relink(_returnOf[call]);
            Relink(call);
            _unansweredLeft += _operations[_operationOf[call]].Returned == HistoryOperation.Never ? 0 : 1;
        }

        private void Unlink(int entry)
        {
            _next[_previous[entry]] = _next[entry];
            _previous[_next[entry]] = _previous[entry];
        }

        private void Relink(int entry)
        {
            _next[_previous[entry]] = entry;
            _previous[_next[entry]] = entry;
        }
    }

    /// <summary>A set of placed requests with the state they led to: from there the search has been everywhere.</summary>
    private readonly struct Visited(ulong[] placed, ulong state) : IEquatable<Visited>
    {
        private readonly ulong[] _placed = placed;
        private readonly ulong _state = state;

        public bool Equals(Visited other) => _state == other._state && _placed.AsSpan().SequenceEqual(other._placed);

        public override bool Equals(object? obj) => obj is Visited other && Equals(other);

        public override int GetHashCode()
        {
            var hash = new HashCode();
            hash.Add(_state);
            foreach (ulong part in _placed)
            {
                hash.Add(part);
            }

            return hash.ToHashCode();
        }
    }
}
